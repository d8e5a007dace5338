"""The price socket: its protocol, connections and broadcasts."""
