"""Extensions that come with the package. They use its public names; it never imports them.

``sessions``  sessions that are kept on the server: in Redis, or in memory
"""
