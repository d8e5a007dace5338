"""The same system on a laptop: PostgreSQL, AWS's services and Lambda's triggers, wired from template.yaml."""
