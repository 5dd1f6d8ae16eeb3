"""The tree as it has to be: imports, sizes, words, and that what is generated is in step.

tree.py  the tree as these tests see it
"""
