//! Text that nobody would write, and valid files with one slip in them.

use proptest::prelude::*;

use super::*;

fn check(text: &str) -> Result<Loaded, Problems> {
    let result = parse_str("random.conf", text);
    let problems = match &result {
        Ok(loaded) => &loaded.problems,
        Err(problems) => problems,
    };
    assert_eq!(result.is_err(), problems.worst() == Some(Level::Error));
    assert_places_are_inside(problems, |_| text.to_owned());
    result
}

/// Pieces that the reader has rules for.
fn piece() -> impl Strategy<Value = String> {
    let keywords: Vec<String> =
        keywords::Block::ALL.iter().flat_map(|block| block.keywords()).map(|keyword| keyword.name.to_owned()).collect();
    let values = [
        "{",
        "}",
        "\n",
        "\n",
        "{\n",
        "}\n",
        "\"",
        "#",
        "!",
        "\\",
        "$A",
        "${A}",
        "$A=",
        "\n$A=$A$A\n",
        "@x",
        "@^x",
        "~SEQ(",
        "{{",
        "0",
        "-1",
        "80",
        "65536",
        "1.5",
        "yes",
        "192.0.2.1",
        "2001:db8::1",
        "::ffff:1.2.3.4",
        "192.0.2.1/24",
        "NAT",
        "TUN",
        "fwmark",
        "group",
        "TCP",
        "rr",
        "\u{a0}",
        "｛",
        "\t",
        "\r",
        "\0",
        "include absent",
        "dev",
        "label",
    ];
    prop_oneof![
        2 => proptest::sample::select(keywords),
        3 => proptest::sample::select(values.map(str::to_owned).to_vec()),
    ]
}

/// A valid file without a warning that uses most of the language.
const VALID: &str = include_str!("../../../tests/config/clean.conf");

/// Where the words and braces of [`VALID`] are.
fn tokens() -> Vec<std::ops::Range<usize>> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, char) in VALID.char_indices() {
        match (char.is_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                tokens.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    tokens
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_pieces_never_panic(pieces in proptest::collection::vec(piece(), 0..120)) {
        let _ = check(&pieces.join(" "));
    }

    #[test]
    fn a_slip_loads_or_is_reported_with_its_place(at in any::<prop::sample::Index>(), double in any::<bool>()) {
        let tokens = tokens();
        let token = tokens[at.index(tokens.len())].clone();
        let piece = if double { VALID[token.clone()].to_owned() + " " + &VALID[token.clone()] } else { String::new() };
        let brace = matches!(&VALID[token.clone()], "{" | "}");
        let mut text = VALID.to_owned();
        text.replace_range(token, &piece);
        match check(&text) {
            Ok(_) => prop_assert!(!brace, "a brace may not go or come unnoticed"),
            Err(problems) => prop_assert!(problems.0.iter().any(|p| p.level == Level::Error && p.place.is_some())),
        }
    }

    #[test]
    fn a_line_too_few_or_too_many_loads_or_is_reported(at in any::<prop::sample::Index>(), double in any::<bool>()) {
        let mut lines: Vec<_> = VALID.lines().collect();
        let at = at.index(lines.len());
        let line = if double { lines[at] } else { lines.remove(at) };
        if double {
            lines.insert(at, line);
        }
        let balanced = line.matches('{').count() == line.matches('}').count();
        let result = check(&lines.join("\n"));
        prop_assert!(balanced || result.is_err(), "a brace may not go or come unnoticed");
    }
}

#[test]
fn the_file_that_slips_are_made_in_is_clean() {
    let loaded = parse_str("clean.conf", VALID).unwrap();
    assert!(loaded.problems.worst() <= Some(Level::Note), "{}", loaded.problems);
    assert!(tokens().len() > 100);
}

#[test]
fn huge_and_deep_input_is_refused_and_not_followed() {
    let mebi = 1 << 20;
    for (text, message) in [
        ("x".repeat(mebi), "longer than 65536 bytes"),
        ("{\n".repeat(mebi / 8), "nested more than"),
        ("a {\n".repeat(mebi / 8), "nested more than"),
        ("x\n".repeat(mebi / 8), "more than 500 problems"),
        ("# comment\n".repeat(2 * mebi), "the configuration is too large"),
        ("$A=xxxxxxxxxxxxxxxx\n".to_owned() + &"$A=$A$A\n".repeat(40), "with its variables the line is longer"),
        ("}\n".repeat(mebi / 2), "more than 500 problems"),
    ] {
        let problems = parse_str("huge.conf", &text).unwrap_err();
        let found = problems.0.iter().any(|problem| problem.message.contains(message));
        assert!(found, "{message}: {:?}", problems.0.last());
    }
}
