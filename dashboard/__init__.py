"""The web application and its JSON API. It reads what a transform published; who is tracked it asks the lake, and
changes there. Nothing else imports it, but for the commands that start it.
"""
