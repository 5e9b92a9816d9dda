//! Pixels as a PNG file.

use super::error::PlotError;
use png::{ColorType, Compression, Encoder, Filter};

/// Encodes RGB pixels, or levels of a palette, row by row from the top.
pub fn encode(size: (u32, u32), pixels: &[u8], palette: Option<&[[u8; 3]]>) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.0, size.1);
    match palette {
        None => encoder.set_color(ColorType::Rgb),
        Some(palette) => {
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(palette.concat());
            encoder.set_compression(Compression::High);
            encoder.set_filter(Filter::NoFilter);
        }
    }
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    written.map_err(|e| PlotError::Draw(e.to_string()))?;
    Ok(bytes)
}
