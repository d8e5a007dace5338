"""The daily analysis: a day's trades are exported to S3 and summarized in a file beside them."""
