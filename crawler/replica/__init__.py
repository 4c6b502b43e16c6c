"""A stand-in for Tieba's site, for trying, testing and measuring without the internet."""
