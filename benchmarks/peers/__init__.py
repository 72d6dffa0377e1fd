"""The peers: a module each, written as its own users would write it.

A module has a function for each scenario it takes part in, called as the scenario is, which returns
the application. ``bare`` is the floor: callables that do the same work with nothing around it.
"""
