"""The life of an application and of its requests.

Before the first request:

``plan``          turns registrations into endpoints, once, when the application starts
``routes``        the router: which endpoint a request is for
``guard``         requests that are refused; ``target``, targets in absolute form

A request:

``dispatch``      the innermost ASGI callable: from the match to the last teardown
``calls``         calls of users' functions, each in its place
``errors``        what becomes of an exception; ``problem``, the standard answer
``coerce``        what becomes of a view's return value
``streaming``     sends a body piece by piece
``teardown``      the end, also of contexts that code has pushed itself
``sockets``       the same for WebSockets; ``channel``, their messages
``steps``         all this as methods that applications may replace; ``socket_steps``

Between start and shutdown:

``lifespan``      start and shutdown; ``self_start``, where no server asks for them
``mounted``       the lifespans of mounted applications, by ``lifespan_protocol``
``draining``      the event that tells of the shutdown
``background``    tasks beside the requests
``workers``       the threads for ``def`` functions
``serving``       the application's face of these
"""
