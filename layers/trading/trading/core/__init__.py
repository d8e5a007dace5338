"""What every part of the system stands on: settings, the database, AWS's services, values and errors."""
