"""What goes in and out: the request with its body and forms, and the response."""
