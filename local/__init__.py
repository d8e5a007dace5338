"""The system on a local machine: PostgreSQL, AWS services and Lambda triggers, wired from template.yaml."""
