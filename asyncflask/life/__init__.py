"""The life of a request.

``plan``       turns registrations into endpoints, once, when the application starts
``target``     request targets in absolute form
``guard``      requests that are refused
``routes``     the router: which endpoint a request is for
``dispatch``   the innermost ASGI callable: from the match to the last teardown
``sockets``    the same for WebSockets
``errors``     what becomes of an exception
``coerce``     what becomes of a view's return value
``streaming``  sends a body piece by piece
``lifespan``   start and shutdown; ``self_start``, where no server asks for them
``mounted``    the lifespans of mounted applications
``draining``   the event that tells of the shutdown
``background`` tasks beside the requests
``serving``    the application's face of these five
"""
