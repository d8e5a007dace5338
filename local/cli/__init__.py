"""What a person runs: the feed, the price watcher, the analysis and the simulation of a file."""
