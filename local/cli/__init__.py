"""The command line: trades and positions, the feed and its watcher, analyses and simulations of files."""
