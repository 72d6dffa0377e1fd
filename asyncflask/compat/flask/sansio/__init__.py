"""The parts that do no input or output; in Flask the bases of application and blueprint."""
