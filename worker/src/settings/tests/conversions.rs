//! Conversions of the mapping that cannot work, and what is said about them.

use super::*;

#[test]
fn a_conversion_that_cannot_work_is_told_row_by_row() {
    let rows = r#"
[mapping]
preset = "custom"
rows = [
  { column = "a", property = "city", choices = {} },
  { column = "a", property = "city", choices = { "1" = " " } },
  { column = "a", property = "city", choices = ["x"] },
  { column = "a", property = "city", choices = { "1" = 1.5 } },
  { column = "a", property = "city", type = "number" },
  { value = "x", property = "city", column = "a" },
  { value = " ", property = "city" },
  { value = 1.5, property = "city" },
  { value = "x", property = "city", require = "a" },
]
"#;
    let shape = "choices must look like { \"1\" = \"Gold\", \"2\" = \"Silver\" }";
    let alone = |key: &str| {
        format!("{key} cannot be used with value, which is written as it is; take one of them out")
    };
    check(
        rows,
        &[],
        &[
            "mapping.rows, entry 1: choices is empty, so that no value would be taken; name at least one",
            "mapping.rows, entry 2: choices give an empty text for 1; leave that value out, and say by on_invalid what becomes of it",
            &format!("mapping.rows, entry 3: {shape}"),
            &format!("mapping.rows, entry 4: {shape}"),
            "mapping.rows, entry 5: type must be one of \"string\", \"boolean\", \"integer\"",
            &format!("mapping.rows, entry 6: {}", alone("column")),
            "mapping.rows, entry 7: value must not be empty",
            "mapping.rows, entry 8: value must be a text in quotes, true, false or a whole number",
            &format!("mapping.rows, entry 9: {}", alone("require")),
        ],
    );
    for (row, expected) in [
        (
            r#"{ value = "x", property = "city" }"#,
            "no row reads a column, and a constant is written together with other properties only; map at least one contact column",
        ),
        (
            r#"{ column = "a", property = "city", type = "string" }"#,
            "the type of city is given by Graph; only a directory extension (extension_...) has a type in its row",
        ),
        (
            r#"{ column = "a", property = "accountEnabled", on_null = "keep", choices = { "0" = "on" } }"#,
            "what choices of accountEnabled give for 0 is not true or false",
        ),
        (
            r#"{ value = "a@b.c", property = "otherMails" }"#,
            "otherMails is an address, and no two users can have the same; give its row a column",
        ),
        (
            r#"{ template = "{a}", property = "city", choices = { "0" = "on" } }"#,
            "city has choices and a template; choices need column or columns",
        ),
        (
            r#"{ value = "12345678901234567", property = "employeeId" }"#,
            "the value of employeeId is 17 characters long and Graph takes 16",
        ),
    ] {
        let rows = format!("[mapping]\npreset = \"custom\"\nrows = [{row}]\n");
        check(&rows, &[], &[&format!("mapping.rows: {expected}")]);
    }
}
