"""Tools for maintainers: the rules for the template, the API description, and building and publishing the page."""
