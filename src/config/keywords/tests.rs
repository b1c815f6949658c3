use super::*;

#[test]
fn a_suggestion_names_the_nearest_keyword_or_its_home() {
    for (block, word, expected) in [
        (Block::VrrpInstance, "priorty", Some("did you mean `priority`?")),
        (Block::VrrpInstance, "PRIORITY", Some("did you mean `priority`?")),
        (Block::VirtualServer, "delay_lop", Some("did you mean `delay_loop`?")),
        (Block::RealServer, "wieght", Some("did you mean `weight`?")),
        (Block::RealServer, "TPC_CHECK", Some("did you mean `TCP_CHECK`?")),
        (Block::VirtualServer, "TCP_CHECK", Some("it belongs in `real_server`")),
        (Block::RealServer, "global_defs", Some("it belongs outside all blocks")),
        (Block::Root, "frobnicate", None),
        (Block::Root, "...", None),
    ] {
        assert_eq!(suggest(block, word).as_deref(), expected, "{word}");
    }
}

#[test]
fn the_table_holds_each_keyword_once_a_part_and_every_block_can_be_opened() {
    for block in Block::ALL {
        let opened = Block::ALL.iter().flat_map(|outer| outer.keywords()).any(|keyword| keyword.opens() == Some(block));
        assert!(opened || block == Block::Root, "{block:?}");
        let names: Vec<_> = block.keywords().map(|keyword| keyword.name).collect();
        for name in &names {
            let count = names.iter().filter(|other| *other == name).count();
            assert_eq!(count, 1, "`{name}` in {block:?}");
        }
    }
}

#[test]
fn distance_counts_edits_and_swaps() {
    for (a, b, expected) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)] {
        assert_eq!(distance(a, b), expected, "{a} {b}");
    }
}
