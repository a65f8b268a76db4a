"""Picture containers, walked without decoding a pixel: one walker a format, shared by all steps that need it.

A walker checks that the structure is whole, and says where its pieces lie. It takes `admit`, which it calls
with width and height as soon as the header has named them and before it looks at anything else.
"""
