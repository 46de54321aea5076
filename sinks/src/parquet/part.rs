//! One open file: rows are gathered into columns and handed to the Parquet writer in blocks.

use std::io;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, StringDictionaryBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use influxdb_line_protocol::{FieldValue, ParsedLine};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::shape::{Kind, Shape};
use crate::disk::DiskFile;

/// Rows gathered before they are encoded.
const BLOCK_ROWS_MAX: usize = 8 * 1024;
/// Values gathered before they are encoded, about.
const BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// A row group ends at this encoded size, which bounds the memory of an open file.
const ROW_GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A row group ends at this many rows.
const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;
const UTC: &str = "UTC";

/// A file and the rows that wait for it.
pub(super) struct Part {
    writer: ArrowWriter<Box<dyn DiskFile>>,
    schema: SchemaRef,
    times: TimestampNanosecondBuilder,
    columns: Vec<Values>,
    rows: usize,
    block_bytes: usize,
    opened: u64,
}

enum Values {
    Tag(StringDictionaryBuilder<Int32Type>),
    Float(Float64Builder),
    Int(Int64Builder),
    Uint(UInt64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
}

impl Part {
    /// `opened` orders parts by age.
    pub(super) fn new(shape: &Shape, file: Box<dyn DiskFile>, opened: u64) -> io::Result<Self> {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()));
        let mut fields = vec![Field::new("time", time, false)];
        fields.extend(shape.columns.iter().map(|c| Field::new(&c.label, data_type(c.kind), true)));
        let schema = Arc::new(Schema::new(fields));
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties())).map_err(io_error)?;
        Ok(Self {
            writer,
            schema,
            times: TimestampNanosecondBuilder::new(),
            columns: shape.columns.iter().map(|c| Values::new(c.kind)).collect(),
            rows: 0,
            block_bytes: 0,
            opened,
        })
    }

    /// Appends one row: the values of a line, tags before fields, each to the column in `slots`. Returns the
    /// size of the file when it has grown.
    pub(super) fn append(
        &mut self,
        line: &ParsedLine<'_>,
        slots: &[usize],
        time: i64,
    ) -> io::Result<Option<u64>> {
        let mut slots = slots.iter();
        let mut next = || slots.next().copied().unwrap_or(usize::MAX);
        for (_, value) in line.series.tag_set.iter().flatten() {
            if let Some(Values::Tag(tag)) = self.columns.get_mut(next()) {
                tag.append(value.as_str()).map_err(io::Error::other)?;
                self.block_bytes += size_of::<i32>();
            }
        }
        for (_, value) in &line.field_set {
            self.block_bytes += self.columns.get_mut(next()).map_or(0, |column| column.push(value));
        }
        self.times.append_value(time);
        self.rows += 1;
        for column in &mut self.columns {
            column.fill(self.rows);
        }
        if self.rows >= BLOCK_ROWS_MAX || self.block_bytes >= BLOCK_BYTES_MAX {
            self.spill()?;
            // Encoded rows that are still in memory included.
            return Ok(Some((self.writer.bytes_written() + self.writer.in_progress_size()) as u64));
        }
        Ok(None)
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// Writes what is left and the footer, and makes the file durable.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.spill()?;
        let mut file = self.writer.into_inner().map_err(io_error)?;
        file.sync()
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.times.finish().with_timezone(UTC))];
        arrays.extend(self.columns.iter_mut().map(Values::finish));
        let block = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(io::Error::other)?;
        self.rows = 0;
        self.block_bytes = 0;
        self.writer.write(&block).map_err(io_error)
    }
}

/// How every file is written.
pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .build()
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Tag => Values::Tag(StringDictionaryBuilder::new()),
            Kind::Float => Values::Float(Float64Builder::new()),
            Kind::Int => Values::Int(Int64Builder::new()),
            Kind::Uint => Values::Uint(UInt64Builder::new()),
            Kind::Bool => Values::Bool(BooleanBuilder::new()),
            Kind::Text => Values::Text(StringBuilder::new()),
        }
    }

    /// Appends a value of the column's type and returns its size.
    fn push(&mut self, value: &FieldValue<'_>) -> usize {
        match (self, value) {
            (Values::Float(column), FieldValue::F64(v)) => column.append_value(*v),
            (Values::Int(column), FieldValue::I64(v)) => column.append_value(*v),
            (Values::Uint(column), FieldValue::U64(v)) => column.append_value(*v),
            (Values::Bool(column), FieldValue::Boolean(v)) => column.append_value(*v),
            (Values::Text(column), FieldValue::String(v)) => {
                column.append_value(v.as_str());
                return v.as_str().len();
            }
            _ => return 0, // the shape has fitted, so types agree
        }
        size_of::<f64>()
    }

    /// Appends null if the row has no value.
    fn fill(&mut self, rows: usize) {
        match self {
            Values::Tag(column) if column.len() < rows => column.append_null(),
            Values::Float(column) if column.len() < rows => column.append_null(),
            Values::Int(column) if column.len() < rows => column.append_null(),
            Values::Uint(column) if column.len() < rows => column.append_null(),
            Values::Bool(column) if column.len() < rows => column.append_null(),
            Values::Text(column) if column.len() < rows => column.append_null(),
            _ => {}
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Tag(column) => Arc::new(column.finish()),
            Values::Float(column) => Arc::new(column.finish()),
            Values::Int(column) => Arc::new(column.finish()),
            Values::Uint(column) => Arc::new(column.finish()),
            Values::Bool(column) => Arc::new(column.finish()),
            Values::Text(column) => Arc::new(column.finish()),
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Tag => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::Float => DataType::Float64,
        Kind::Int => DataType::Int64,
        Kind::Uint => DataType::UInt64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Utf8,
    }
}

/// The disk's own error where there is one, so that its number reaches the metrics.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
