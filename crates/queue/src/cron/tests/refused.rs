//! What is refused, and how it is said.

use super::*;

/// The refusal, which must be one line without control characters.
fn refusal(text: &str) -> String {
    let line = match Expression::parse(text) {
        Ok(_) => panic!("{text:?} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(!line.chars().any(char::is_control), "{line:?}");
    line
}

#[test]
fn wrong_number_of_fields() {
    for (text, found) in
        [("", 0), (" \t ", 0), ("*", 1), ("* * * *", 4), ("* * * * * * *", 7), ("* * * * * * * *", 8)]
    {
        assert_eq!(Expression::parse(text), Err(CronError::FieldCount { found }));
        let s = if found == 1 { "" } else { "s" };
        let start = format!("cron expression: found {found} field{s}; allowed: 5 ");
        assert!(refusal(text).starts_with(&start), "{}", refusal(text));
    }
}

#[test]
fn wrong_items_are_named_with_their_field_and_position() {
    for (text, start) in [
        ("*/0 * * * *", r#"minute: "*/0" at position 1 has a step of 0; allowed: 0-59"#),
        ("*/61 * * * *", r#"minute: "*/61" at position 1 has too large a step"#),
        ("*/x * * * *", r#"minute: "*/x" at position 1 has no number as its step"#),
        ("*/ * * * *", r#"minute: "*/" at position 1 has no number as its step"#),
        ("5-1 * * * *", r#"minute: "5-1" at position 1 is a range that runs backwards"#),
        ("1- * * * *", r#"minute: "1-" at position 1 is a range without both ends"#),
        ("1,,2 * * * *", r#"minute: "" at position 3 is an empty item"#),
        ("1,2, * * * *", r#"minute: "" at position 5 is an empty item"#),
        ("a * * * *", r#"minute: "a" at position 1 is not a number"#),
        ("--1 * * * *", r#"minute: "--1" at position 1 is a range without both ends"#),
        ("+1 * * * *", r#"minute: "+1" at position 1 is not a number"#),
        ("60 * * * *", r#"minute: "60" at position 1 is out of range"#),
        ("99999999999 * * * *", r#"minute: "99999999999" at position 1 is out of range"#),
        ("? * * * *", r#"minute: "?" at position 1 is not a number"#),
        ("L * * * *", r#"minute: "L" at position 1 is not a number"#),
        ("60 0 * * * *", r#"second: "60" at position 1 is out of range; allowed: 0-59"#),
        ("  0  1,24 * * *", r#"hour: "24" at position 8 is out of range; allowed: 0-23"#),
        ("0 22-2 * * *", r#"hour: "22-2" at position 3 is a range that runs backwards"#),
        ("0 0 0 * *", r#"day of month: "0" at position 5 is out of range; allowed: 1-31"#),
        ("0 0 32 * *", r#"day of month: "32" at position 5 is out of range"#),
        ("0 0 W * *", r#"day of month: "W" at position 5 is not a number"#),
        ("0 0 32W * *", r#"day of month: "32W" at position 5 is out of range"#),
        ("0 0 1-5W * *", r#"day of month: "1-5W" at position 5 is not a number"#),
        ("0 0 L-3 * *", r#"day of month: "L-3" at position 5 is not a number"#),
        ("0 0 * 13 *", r#"month: "13" at position 7 is out of range; allowed: 1-12"#),
        ("0 0 * JUNE *", r#"month: "JUNE" at position 7 is neither a number nor a known name"#),
        ("0 0 * * 8", r#"day of week: "8" at position 9 is out of range; allowed: 0-7"#),
        ("0 0 * * 6-0", r#"day of week: "6-0" at position 9 is a range that runs"#),
        ("0 0 * * FRI-MON", r#"day of week: "FRI-MON" at position 9 is a range that runs"#),
        ("0 0 * * MON#6", r#"day of week: "MON#6" at position 9 needs 1 to 5 after the #"#),
        ("0 0 * * MON#", r#"day of week: "MON#" at position 9 needs 1 to 5 after the #"#),
        ("0 0 * * #2", r##"day of week: "#2" at position 9 is neither a number nor"##),
        ("0 0 * * L", r#"day of week: "L" at position 9 needs a day before the L"#),
        ("0 0 * * MON,x", r#"day of week: "x" at position 13 is neither a number nor"#),
        ("0 0 * * \"", r#"day of week: "\"" at position 9 is neither a number nor"#),
    ] {
        let line = refusal(text);
        assert!(line.starts_with(start), "{text:?}: {line}");
        assert!(line.contains("; allowed: "), "{line}");
    }
}

#[test]
fn days_that_never_come() {
    for text in ["0 0 30 2 *", "0 0 31 2 *", "0 0 0 31 4,6,9,11 *", "0 0 31W 2 *"] {
        let line = refusal(text);
        assert!(line.starts_with(&format!("cron expression: {text:?} never fires")), "{line}");
    }
}

#[test]
fn characters_and_length() {
    for (text, character, position) in [
        ("\u{ff15} * * * *", '\u{ff15}', 1),
        ("0\u{a0}0 * * *", '\u{a0}', 2),
        ("0 0 * *\n*", '\n', 8),
        ("0 0 * * \u{202e}1", '\u{202e}', 9),
        ("0 0 * * \0", '\0', 9),
        ("é 0 * * ü", 'é', 1),
    ] {
        assert_eq!(Expression::parse(text), Err(CronError::Character { character, position }));
        refusal(text);
    }
    let list = |items| format!("{} * * * *", vec!["1"; items].join(","));
    assert!(Expression::parse(&list(124)).is_ok(), "255 characters");
    let length = 20_007;
    assert_eq!(Expression::parse(&list(10_000)), Err(CronError::TooLong { length }));
    let line = refusal(&"*".repeat(10_000));
    assert_eq!(line, "cron expression: 10000 characters; at most 256 are allowed");
    assert!(Expression::parse(&" ".repeat(257)).is_err());
}

#[test]
fn shorthands_and_durations() {
    for text in ["@", "@reboot", "@dailyy", "@daily 5", "@daily * * * *", "@every90s", "@ daily"] {
        let start = format!("cron expression: {text:?} is unknown; allowed: @yearly");
        assert!(refusal(text).starts_with(&start), "{}", refusal(text));
    }
    for (text, start) in [
        ("@every", r#"@every: "" is not a duration; allowed: 1s to 366d"#),
        ("@every s", r#"@every: "s" is not a duration"#),
        ("@every -5s", r#"@every: "-5s" is not a duration"#),
        ("@every 1.5h", r#"@every: "1.5h" has a number without a unit"#),
        ("@every 90", r#"@every: "90" has a number without a unit"#),
        ("@every 5 parsecs", r#"@every: "5 parsecs" has a number without a unit"#),
        ("@every 5parsecs", r#"@every: "5parsecs" has an unknown unit"#),
        ("@every 500ms", r#"@every: "500ms" has an unknown unit"#),
        ("@every 0s", r#"@every: "0s" is too short"#),
        ("@every 366d1s", r#"@every: "366d1s" is too long"#),
        ("@every 99999999999999999999999d", r#"@every: "99999999999999999999999d" is too long"#),
    ] {
        assert!(refusal(text).starts_with(start), "{}", refusal(text));
    }
}
