"""The Python API: one call for each thing that a user does; the command line wraps these calls.

    network     what is quantized or loaded: :class:`Network`, ``quantize``, ``load``, ``save``
    design      a network compiled for a board: :class:`Design`, ``compile``
    build       a bitstream and its report: :class:`Build`
    board       a network on a board, real or simulated: :class:`Board`

``import qornn_hw`` has all of these names; docs/python.md is their reference.
"""
