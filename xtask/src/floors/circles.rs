//! Circles in a directed graph.

use std::collections::{BTreeMap, BTreeSet};

/// Nodes, and those that each one points to.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the strongly connected components of more than one node.
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|node| (node, reached(graph, node))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for node in graph.keys() {
        let back = |other: &&&String| reach.get(**other).is_some_and(|there| there.contains(node));
        let circle: Vec<String> = reach[node].iter().filter(back).map(|other| other.to_string()).collect();
        if circle.len() > 1 && !seen.contains(node) {
            seen.extend(circle.iter().cloned());
            circles.push(circle);
        }
    }
    circles
}

/// Returns the nodes that a way of at least one arrow leads to.
fn reached<'a>(graph: &'a Graph, from: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = graph[from].iter().collect();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(graph.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_chains_are_not() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "e"), ("f", "g"), ("g", "h"), ("h", "f")];
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry(from.into()).or_default().insert(to.into());
        }
        assert_eq!(circles(&graph), [vec!["b", "c"], vec!["f", "g", "h"]]);
    }
}
