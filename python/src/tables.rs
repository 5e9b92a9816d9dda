//! Headers and tables between FITS and the dictionaries of Python.

use crate::error::input;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
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

/// Sets a card; of COMMENT and HISTORY it adds one or, of a list, some. A pair is a value and its comment.
fn set_card(header: &mut Header, keyword: &str, value: &Bound<PyAny>, comment: &str) -> PyResult<()> {
    if matches!(keyword, "COMMENT" | "HISTORY") {
        match value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            true => value.try_iter()?.try_for_each(|line| set_card(header, keyword, &line?, comment))?,
            false => header.add_commentary(keyword, &value.str()?.to_string()),
        }
    } else if let Ok((value, comment)) = value.cast::<PyTuple>().map_err(PyErr::from).and_then(|pair| pair.extract()) {
        let (value, comment): (Bound<PyAny>, String) = (value, comment);
        set_card(header, keyword, &value, &comment)?;
    } else if value.is_none() {
        header.set(keyword, Value::Undefined, comment);
    } else if let Ok(value) = value.extract::<bool>() {
        header.set(keyword, value, comment);
    } else if let Ok(value) = value.extract::<i64>() {
        header.set(keyword, value, comment);
    } else if let Ok(value) = value.extract::<f64>() {
        header.set(keyword, value, comment);
    } else if let Ok(value) = value.extract::<String>() {
        header.set(keyword, value, comment);
    } else {
        let kind = value.get_type().name()?;
        return Err(input(format!("card {keyword} is of type {kind}: give a string, a number, a truth value or None")));
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
        // Of one type and text: True equals 1, and a NaN not even itself.
        let text = |value: &Bound<PyAny>| value.repr().map(|text| text.to_string()).ok();
        let is_same = |old: &Bound<PyAny>| old.get_type().is(value.get_type()) && text(old) == text(&value);
        if was.get_item(&keyword)?.is_some_and(|old| is_same(&old)) {
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

/// The table of `nrows` rows that columns by name are. Columns that are as `was` shows them, and those that a dictionary cannot
/// show, stay as they are there, with all cards.
pub fn table_of(columns: &Bound<PyDict>, was: Option<Table>, nrows: usize) -> PyResult<Table> {
    let (py, was) = (columns.py(), was.filter(|was| was.nrows() == nrows).unwrap_or_else(|| Table::new(nrows)));
    let numpy = py.import("numpy")?;
    let shown = table_dict(py, &was)?;
    let kind = |array: &Bound<PyAny>| array.getattr("dtype")?.getattr("kind")?.extract::<char>();
    let bytes = |array: &Bound<PyAny>| array.call_method0("tobytes")?.extract::<Vec<u8>>();
    let is_same = |old: &Bound<PyAny>, new: &Bound<PyAny>| -> PyResult<bool> {
        if kind(old)? == 'U' {
            return numpy.call_method1("array_equal", (old, new))?.extract();
        }
        // A NaN is itself.
        let same_type =
            old.getattr("dtype")?.eq(new.getattr("dtype")?)? && old.getattr("shape")?.eq(new.getattr("shape")?)?;
        Ok(same_type && bytes(old)? == bytes(new)?)
    };
    let mut given = Vec::new();
    for (name, values) in columns.iter() {
        let (name, values) = (name.extract::<String>()?, numpy.call_method1("asarray", (values,))?);
        let shape: Vec<usize> = values.getattr("shape")?.extract()?;
        if shape.first() != Some(&nrows) {
            return Err(input(format!(
                "column {name} of the fibermap has shape {shape:?}, the frame has {nrows} spectra: give one row each, or take \
                 rows of a frame by frame.select(rows)"
            )));
        }
        given.push((name, values));
    }
    let mut is_edited = false;
    let of_name = |name: &str| given.iter().find(|(given, _)| given == name).map(|(_, values)| values);
    let mut table = was.without_columns();
    for (index, column) in was.columns().iter().enumerate() {
        let name = column.name.as_str();
        table = match (shown.get_item(name)?, of_name(name)) {
            (None, None) => table.with_column_of(&was, index),
            (Some(_), None) => {
                is_edited = true;
                table
            }
            (Some(old), Some(new)) if is_same(&old, new)? => table.with_column_of(&was, index),
            (_, Some(new)) => {
                is_edited = true;
                let unit = was.header().get_str(&format!("TUNIT{}", index + 1)).unwrap_or_default();
                table.with_column(name, &unit, &column_of(name, new)?)
            }
        };
    }
    for (name, values) in given.iter().filter(|(name, _)| !was.columns().iter().any(|column| &column.name == name)) {
        is_edited = true;
        table = table.with_column(name, "", &column_of(name, values)?);
    }
    Ok(if is_edited { table } else { was })
}

fn column_of(name: &str, values: &Bound<PyAny>) -> PyResult<ColumnData> {
    let (dtype, axes) = (values.getattr("dtype")?, values.getattr("ndim")?.extract::<usize>()?);
    let (kind, size): (char, usize) = (dtype.getattr("kind")?.extract()?, dtype.getattr("itemsize")?.extract()?);
    // A cell is a string, or some numbers.
    let (of, most) = if matches!(kind, 'U' | 'S') { ("strings", 1) } else { ("numbers", 2) };
    if axes > most {
        return Err(input(format!(
            "column {name} of the fibermap has {axes} axes: give an array of {of} with at most {most}, the first for the rows"
        )));
    }
    let list = || values.call_method1("reshape", (-1,))?.call_method0("tolist");
    Ok(match kind {
        'b' => ColumnData::Bool(list()?.extract()?),
        'i' if size <= 2 => ColumnData::I16(list()?.extract()?),
        'i' if size <= 4 => ColumnData::I32(list()?.extract()?),
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
