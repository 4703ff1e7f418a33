"""Networks of other frameworks as torch modules, layer by layer.

``plan`` writes what a network is made of, ``keras_layers`` and ``onnx_nodes`` read it from models,
and ``network`` builds the module of it: that file goes into the artifact, beside the plan.
"""
