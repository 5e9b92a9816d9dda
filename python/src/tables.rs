//! Headers and tables between FITS and the dictionaries of Python.

use crate::error::input;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList};
use spextral::frame::{ColumnData, Header, Table, Value};

/// The header of cards: keyword, value and comment.
pub fn header_of(cards: &Bound<PyAny>) -> PyResult<Header> {
    let mut header = Header::new();
    for card in cards.try_iter()? {
        let (keyword, value, comment): (String, Bound<PyAny>, String) = card?.extract()?;
        set_card(&mut header, &keyword, &value, &comment)?;
    }
    header.remove_image_axes();
    Ok(header)
}

/// Sets a card; of COMMENT and HISTORY it adds one or, of a list, some.
fn set_card(header: &mut Header, keyword: &str, value: &Bound<PyAny>, comment: &str) -> PyResult<()> {
    if matches!(keyword, "COMMENT" | "HISTORY") {
        match value.cast::<PyList>() {
            Ok(lines) => lines.iter().try_for_each(|line| set_card(header, keyword, &line, comment))?,
            Err(_) => header.add_commentary(keyword, &value.str()?.to_string()),
        }
    } else if value.is_none() {
        header.set(keyword, Value::Undefined, comment);
    } else if let Ok(value) = value.cast::<PyBool>() {
        header.set(keyword, value.is_true(), comment);
    } else if let Ok(value) = value.extract::<i64>() {
        header.set(keyword, value, comment);
    } else if let Ok(value) = value.extract::<f64>() {
        header.set(keyword, value, comment);
    } else {
        header.set(keyword, value.str()?.to_string(), comment);
    }
    Ok(())
}

/// Makes the cards of a header those of `cards` where they differ from `was`, which it has.
pub fn edit_header(header: &mut Header, was: &Bound<PyDict>, cards: &Bound<PyDict>) -> PyResult<()> {
    for keyword in was.keys() {
        if !cards.contains(&keyword)? {
            header.remove(&keyword.extract::<String>()?);
        }
    }
    for (keyword, value) in cards.iter() {
        // A NaN equals none.
        let text = |value: &Bound<PyAny>| value.repr().map(|text| text.to_string());
        let old = was.get_item(&keyword)?;
        if old.is_some_and(|old| {
            old.eq(&value).unwrap_or(false) || matches!((text(&old), text(&value)), (Ok(a), Ok(b)) if a == b)
        }) {
            continue;
        }
        let keyword: String = keyword.extract()?;
        if matches!(keyword.as_str(), "COMMENT" | "HISTORY") {
            header.remove(&keyword);
        }
        set_card(header, &keyword, &value, "")?;
    }
    header.remove_image_axes();
    Ok(())
}

/// Cards by keyword, the first of each; COMMENT and HISTORY as lists of lines.
pub fn header_dict<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for keyword in header.keywords().filter(|keyword| !keyword.is_empty()) {
        if dict.contains(keyword)? {
            continue;
        }
        match header.get(keyword) {
            Some(Value::Bool(v)) => dict.set_item(keyword, v)?,
            Some(Value::Int(v)) => dict.set_item(keyword, v)?,
            Some(Value::Float(v)) => dict.set_item(keyword, v)?,
            Some(Value::Str(v)) => dict.set_item(keyword, v.trim_end())?,
            Some(Value::Undefined) => dict.set_item(keyword, py.None())?,
            None if matches!(keyword, "COMMENT" | "HISTORY") => dict.set_item(keyword, header.commentary(keyword))?,
            None => {}
        }
    }
    Ok(dict)
}

/// Columns by name, `[nrows]`, or as their cells are shaped; those of numbers, truth values and strings.
pub fn table_dict<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyDict>> {
    let (dict, nrows) = (PyDict::new(py), table.nrows());
    let array = py.import("numpy")?.getattr("array")?;
    for column in table.columns() {
        let name = column.name.as_str();
        let values = if let Some(values) = table.column_i64(name) {
            let values = array.call1((values,))?;
            if column.code == b'L' { values.call_method1("astype", ("?",))? } else { values }
        } else if let Some(values) = table.column_f64(name) {
            array.call1((values,))?
        } else if let Some(values) = table.column_str(name) {
            array.call1((values,))?
        } else {
            continue;
        };
        let count: usize = values.getattr("size")?.extract()?;
        let values = if count == nrows { values } else { values.call_method1("reshape", ((nrows, -1),))? };
        dict.set_item(name, values)?;
    }
    Ok(dict)
}

/// The table of `nrows` rows that columns by name are. Those that are as `was` shows them stay as they are there, with what a
/// dictionary cannot show.
pub fn table_of(columns: &Bound<PyDict>, was: Option<Table>, nrows: usize) -> PyResult<Table> {
    let (py, was) = (columns.py(), was.unwrap_or_default());
    let numpy = py.import("numpy")?;
    let shown = table_dict(py, &was)?;
    let bytes = |array: &Bound<PyAny>| -> PyResult<(String, Vec<usize>, Vec<u8>)> {
        let text = array.getattr("dtype")?.str()?.to_string();
        Ok((text, array.getattr("shape")?.extract()?, array.call_method0("tobytes")?.extract()?))
    };
    let (mut table, mut same) = (Table::new(nrows), columns.len() == shown.len() && was.nrows() == nrows);
    for (name, values) in columns.iter() {
        let (name, values) = (name.extract::<String>()?, numpy.call_method1("asarray", (values,))?);
        let old = shown.get_item(&name)?;
        same = same && old.map(|old| Ok::<_, PyErr>(bytes(&old)? == bytes(&values)?)).transpose()?.unwrap_or(false);
        let shape: Vec<usize> = values.getattr("shape")?.extract()?;
        if shape.first() != Some(&nrows) {
            return Err(input(format!(
                "column {name} of the fibermap has shape {shape:?}, the frame has {nrows} spectra: give one row each, or take \
                 rows of a frame by frame.select(rows)"
            )));
        }
        let number = was.columns().iter().position(|column| column.name == name);
        let unit = number.and_then(|n| was.header().get_str(&format!("TUNIT{}", n + 1))).unwrap_or_default();
        table = table.with_column(&name, &unit, &column_of(&name, &values)?);
    }
    Ok(if same { was } else { table })
}

fn column_of(name: &str, values: &Bound<PyAny>) -> PyResult<ColumnData> {
    let dtype = values.getattr("dtype")?;
    let (kind, size): (char, usize) = (dtype.getattr("kind")?.extract()?, dtype.getattr("itemsize")?.extract()?);
    let list = || values.call_method1("reshape", (-1,))?.call_method0("tolist");
    Ok(match kind {
        'b' => ColumnData::Bool(list()?.extract()?),
        'i' | 'u' if size <= 2 && kind == 'i' => ColumnData::I16(list()?.extract()?),
        'i' | 'u' if size <= 4 && kind == 'i' => ColumnData::I32(list()?.extract()?),
        'i' | 'u' => ColumnData::I64(list()?.extract().map_err(|_| {
            input(format!("column {name} of the fibermap has a number above 2^63, which no column of integers holds"))
        })?),
        'f' if size <= 4 => ColumnData::F32(list()?.extract()?),
        'f' => ColumnData::F64(list()?.extract()?),
        'U' => ColumnData::Str(list()?.extract()?),
        'S' => ColumnData::Str(values.call_method1("astype", ("U",))?.call_method0("tolist")?.extract()?),
        _ => {
            return Err(input(format!(
                "column {name} of the fibermap is an array of {dtype}: give numbers or strings"
            )));
        }
    })
}
