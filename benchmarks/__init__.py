"""What is fast, measured in one run against a floor and a peer."""
