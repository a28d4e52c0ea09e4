//! Walks an XML text element by element, refusing what a file with runs has no use for.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The deepest nesting accepted; GPX and TCX need about ten levels.
const MAX_DEPTH: usize = 64;

/// What a format does with the elements it meets. Paths hold local names from the root down to the element itself.
pub(super) trait Visitor {
    /// An element begins.
    fn open(&mut self, path: &[String], attributes: &Attributes<'_>) -> Result<(), String>;
    /// An element ends; `text` is what stood in it after its last child.
    fn close(&mut self, path: &[String], text: &str) -> Result<(), String>;
}

/// The attributes of an element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of an attribute, if it is there.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, String> {
        let broken = |error: &dyn std::fmt::Display| format!("attribute {name} is broken: {error}");
        let attribute = self.0.try_get_attribute(name).map_err(|error| broken(&error))?;
        let value = attribute.map(|attribute| attribute.unescape_value().map(|value| value.into_owned()));
        value.transpose().map_err(|error| broken(&error))
    }
}

/// The local name of the root element.
pub(super) fn root(text: &str) -> Result<String, String> {
    let mut reader = reader(text);
    loop {
        match next(&mut reader)? {
            Event::Start(element) => return Ok(local_name(&element)),
            Event::Eof => return Err("ends before its first XML element".to_owned()),
            _ => {}
        }
    }
}

/// Shows every element of `text` to `visitor`.
pub(super) fn walk(text: &str, visitor: &mut dyn Visitor) -> Result<(), String> {
    let mut reader = reader(text);
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    loop {
        match next(&mut reader)? {
            Event::Start(element) => {
                if path.len() == MAX_DEPTH {
                    return Err(format!("is nested deeper than {MAX_DEPTH} elements"));
                }
                path.push(local_name(&element));
                visitor.open(&path, &Attributes(&element))?;
                content.clear();
            }
            Event::End(_) => {
                visitor.close(&path, content.trim())?;
                path.pop();
                content.clear();
            }
            Event::Text(text) => content.push_str(&text.decode().map_err(|error| error.to_string())?),
            Event::CData(text) => content.push_str(&text.decode().map_err(|error| error.to_string())?),
            Event::GeneralRef(reference) => content.push(character(&reference)?),
            Event::Eof => break,
            _ => {}
        }
    }
    match path.last() {
        Some(element) => Err(format!("is cut off: it ends inside <{}>", super::printable(element))),
        None => Ok(()),
    }
}

fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader
}

fn next<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, String> {
    match reader.read_event() {
        // A document type can define entities that expand without end; no program that writes runs needs one.
        Ok(Event::DocType(_)) => Err("has a DOCTYPE, which is not accepted".to_owned()),
        Ok(event) => Ok(event),
        Err(quick_xml::Error::Syntax(_)) => {
            Err(format!("is cut off or broken: the XML at byte {} is never closed", reader.error_position()))
        }
        Err(error) => {
            let reason = super::printable(&error.to_string());
            Err(format!("is not well-formed XML at byte {}: {reason}", reader.error_position()))
        }
    }
}

fn local_name(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().into_inner()).into_owned()
}

fn character(reference: &BytesRef<'_>) -> Result<char, String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character);
    }
    match &**reference {
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"amp" => Ok('&'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        other => {
            let name = super::printable(&String::from_utf8_lossy(other));
            Err(format!("has the entity &{name}; which is not one of XML's own"))
        }
    }
}
