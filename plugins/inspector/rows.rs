//! What a table is made of: columns, rows, and how they are copied. No painting here.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::value::Value;

/// A column. The first of a table has the rows' names, and no [`Value`].
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What it is called in JSON, and in the saved settings.
    pub key: &'static str,
    pub title: &'static str,
    /// What its figures mean.
    pub help: &'static str,
    /// Its width, in digits. That of the first is what the others leave.
    pub digits: u8,
    /// Whether it stays, with its difference beside it, when two looks are compared.
    pub compared: bool,
    /// Text stands on the left, figures on the right.
    pub is_text: bool,
    /// What a name loses for which there is no room: its beginning, as a path does, or its end.
    pub keeps_start: bool,
}

impl Column {
    pub const fn text(key: &'static str, title: &'static str, digits: u8) -> Self {
        Self {
            key,
            title,
            help: "",
            digits,
            compared: true,
            is_text: true,
            keeps_start: false,
        }
    }

    pub const fn figure(key: &'static str, title: &'static str) -> Self {
        Self {
            is_text: false,
            ..Self::text(key, title, 10)
        }
    }

    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    pub const fn digits(mut self, digits: u8) -> Self {
        self.digits = digits;
        self
    }

    /// Of names that are sentences.
    pub const fn keeps_start(mut self) -> Self {
        self.keeps_start = true;
        self
    }

    /// Makes room for others while two looks are compared.
    pub const fn not_compared(mut self) -> Self {
        self.compared = false;
        self
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    /// What tells it from the table's other rows, from look to look.
    pub key: u64,
    pub name: Cow<'static, str>,
    /// What it is copied as, and sought by; shown when the pointer rests on the name.
    pub full_name: Cow<'static, str>,
    /// What else there is to say about it.
    pub note: Option<Cow<'static, str>>,
    /// Of each column but the first.
    pub values: Vec<Value>,
    /// What the values were in the look that is compared with.
    pub before: Option<Vec<Value>>,
}

impl Row {
    pub fn new(key: u64, name: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        let name = name.into();
        Self {
            key,
            full_name: name.clone(),
            name,
            note: None,
            values,
            before: None,
        }
    }

    #[must_use]
    pub fn with_note(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// How much a column's figure changed. What was not there before was nothing.
    pub fn difference(&self, column: usize) -> Option<f64> {
        let now = self.values[column - 1].number();
        let before = self.before.as_ref()?[column - 1].number();
        if now.is_none() && before.is_none() {
            return None;
        }
        Some(now.unwrap_or(0.0) - before.unwrap_or(0.0))
    }

    /// Whether the search finds it. `needle` is in lower case.
    pub fn is_found(&self, needle: &str) -> bool {
        let found = |text: &str| text.to_lowercase().contains(needle);
        needle.is_empty()
            || found(&self.full_name)
            || self.values.iter().any(|value| match value {
                Value::Text(text) => found(text),
                _ => false,
            })
    }
}

/// The rows as text that spreadsheets take: columns parted by tabs.
pub fn as_text<'a>(columns: &[Column], rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut text = String::new();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    text.push_str(&titles.join("\t"));
    let mut compared = Vec::new();
    let rows: Vec<&Row> = rows.into_iter().collect();
    for (index, column) in columns.iter().enumerate().skip(1) {
        if rows.iter().any(|row| row.difference_of(index).is_some()) {
            text.push_str(&format!("\tΔ {}", column.title));
            compared.push(index);
        }
    }
    text.push('\n');
    for row in rows {
        // A tab or a line's end in a name would part it.
        let clean = |text: &str| text.replace(['\t', '\n', '\r'], " ");
        text.push_str(&clean(&row.full_name));
        for value in &row.values {
            text.push('\t');
            text.push_str(&clean(&value.plain()));
        }
        for &index in &compared {
            let difference = row.difference_of(index);
            let difference = difference.map_or(String::new(), |difference| {
                format!("{}", (difference * 1e3).round() / 1e3)
            });
            text.push_str(&format!("\t{difference}"));
        }
        text.push('\n');
    }
    text
}

/// The rows as a list of objects.
pub fn as_json<'a>(columns: &[Column], rows: impl IntoIterator<Item = &'a Row>) -> String {
    let rows: Vec<Json> = rows.into_iter().map(|row| row.json(columns)).collect();
    // Strings and numbers: nothing that JSON cannot say.
    serde_json::to_string_pretty(&rows).expect("rows are valid JSON")
}

impl Row {
    fn difference_of(&self, index: usize) -> Option<f64> {
        self.difference(index)
    }

    /// It as an object, with what the values were in the look that is compared with.
    pub fn json(&self, columns: &[Column]) -> Json {
        let mut object = serde_json::Map::new();
        object.insert(columns[0].key.to_owned(), Json::from(&*self.full_name));
        let keys = columns.iter().skip(1).map(|column| column.key);
        for (key, value) in keys.zip(&self.values) {
            object.insert(key.to_owned(), value.json());
        }
        if let Some(before) = &self.before {
            let keys = columns.iter().skip(1).map(|column| column.key);
            let before = keys
                .zip(before)
                .filter(|(_, value)| value.number().is_some());
            let before = before.map(|(key, value)| (key.to_owned(), value.json()));
            object.insert("before".to_owned(), Json::Object(before.collect()));
        }
        if let Some(note) = &self.note {
            object.insert("note".to_owned(), Json::from(&**note));
        }
        Json::Object(object)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const COLUMNS: &[Column] = &[
        Column::text("tag", "Tag", 0),
        Column::figure("bytes", "Bytes"),
        Column::text("state", "State", 8),
    ];

    pub fn row(name: &'static str, bytes: u64, state: &'static str) -> Row {
        Row::new(bytes, name, vec![Value::Bytes(bytes), Value::text(state)])
    }

    #[test]
    fn what_is_copied_is_one_line_a_row_whatever_its_name() {
        let rows = [row("tab\there\nand \"there\"", 5, "on")];
        let text = as_text(COLUMNS, &rows);
        assert_eq!(text, "Tag\tBytes\tState\ntab here and \"there\"\t5\ton\n");
        let json: Json = serde_json::from_str(&as_json(COLUMNS, &rows)).unwrap();
        assert_eq!(json[0]["tag"], "tab\there\nand \"there\"");
        assert_eq!(json[0]["bytes"], 5);
    }
}
