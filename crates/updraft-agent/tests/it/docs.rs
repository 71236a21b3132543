//! What the documents show is what is compiled.

#[test]
fn the_page_on_the_agent_shows_the_example() {
    let page = include_str!("../../../../docs/agent.md");
    let example = include_str!("../../examples/firmware.rs");
    assert!(page.contains(example), "copy examples/firmware.rs into docs/agent.md");
}
