"""What a maintainer runs: the template's rules, the API's description, the page's build and its publication."""
