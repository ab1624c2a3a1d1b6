"""What a finished or broken run is asked: how far it is, whether all is as written, and to be made again."""
