"""What a request costs, beside a bare ASGI callable and the peers: ``make bench``."""
