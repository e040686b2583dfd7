"""The language of networks: number formats, operations, their exact integers and ranges; NumPy only."""
