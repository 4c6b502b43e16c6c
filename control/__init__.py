"""The control side: what runs on your own machine.

Sets up the locked virtual environment, the Docker engine, the node image and the containers, builds
the releases that Ansible installs on the nodes, and drives `make up` and `make test`.  Runs on
Python 3.11+ with the standard library alone, since it is what installs everything else.
"""
