"""Tables in and out: readers, writers, columns, and labelled rows. Nothing here knows torch."""
