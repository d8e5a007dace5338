"""The daily analysis: a day's trades exported to S3, and what they come to, written beside them."""
