"""What fills a node's profile: trials, each a few small C-FIND requests."""
