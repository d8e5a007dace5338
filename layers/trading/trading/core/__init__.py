"""What all packages share: settings, the database, AWS clients, value types and errors."""
