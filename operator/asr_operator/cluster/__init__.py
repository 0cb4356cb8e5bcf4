"""The Kubernetes API as this operator uses it: transport, objects, events, leader election.

Knows no plan and no queue. Only `rest_client` imports the kubernetes package.
"""
