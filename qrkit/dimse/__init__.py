"""The wire: associations, C-ECHO, C-FIND, C-GET, C-MOVE and our Storage SCP.

pynetdicom's PDUs negotiate an association; the data phase that follows is our own (`stream`). No module here
uses a database or a file: objects go to a `qrkit.receipt.Receiver`, answers leave as Arrow batches.
"""
