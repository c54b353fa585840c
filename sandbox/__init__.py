"""Platform servers on loopback over an invented world: what tests and benchmarks crawl instead of the internet.

A world (`world.py`) is invented from a seed and never touches a network, the clock on the wall or the global random
state. A site (`site.py`) answers requests for one or more hosts from a world, or from recorded responses. The server
(`server.py`) gives all sites one port, one clock, one list of faults and one log of requests.

To add a platform: a module that invents its communities and lists them in `world.py`, and a module with its site.
"""
