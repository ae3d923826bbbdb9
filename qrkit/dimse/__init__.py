"""The wire: associations, C-ECHO, C-FIND, C-GET, C-MOVE and our Storage SCP.

Negotiation and data phase are our own, on a plain socket. No module here uses a database or a file: objects go to a
`qrkit.receipt.Receiver`, answers leave as Arrow batches.
"""
