"""Models and results to look at: a page for the browser, and what Model Explorer and Graphviz open.

    graph_of(model)            an ONNX graph as plain data: nodes, values, modules, repeated blocks
    mnn_graph_of(graph, ...)   the same of a converted file
    page(...)                  results and graphs as one HTML file that needs nothing else

What is drawn is decided in the page (`viewer/`, built into `bundle/`); here everything is data.
"""
