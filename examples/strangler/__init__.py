"""A Flask site on its way to asyncflask, route by route.

``old``  the site as it was: plain Flask
``new``  what has moved, with the old site around it

Run it with ``asyncflask --app examples.strangler.new run``.
"""
