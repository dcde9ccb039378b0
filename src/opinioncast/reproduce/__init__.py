"""The paper's tables and figures from recipes: shared steps, results, the document"""
