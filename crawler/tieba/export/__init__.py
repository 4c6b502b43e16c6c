"""`tieba export`: stored records as files for people and programs.

`command` understands the options, `reading` gives the records, `output` the file, and each format is a module
of its own. Records stream through in batches; memory does not grow with their number.
"""
