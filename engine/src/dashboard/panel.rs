//! Panels and where they stand.

use serde_json::{Value, json};

/// Columns of Grafana's grid.
const GRID: u32 = 24;

/// What a panel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stat,
    Chart,
    Bars,
    Table,
}

/// One panel with one query.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    kind: Kind,
    title: String,
    query: String,
    width: u32,
}

impl Panel {
    pub(super) fn new(kind: Kind, title: &str, query: &str, width: u32) -> Self {
        Self { kind, title: title.to_owned(), query: query.to_owned(), width }
    }

    const fn height(&self) -> u32 {
        match self.kind {
            Kind::Stat => 4,
            Kind::Chart | Kind::Bars => 8,
            Kind::Table => 9,
        }
    }

    fn model(&self, id: u32, (x, y): (u32, u32)) -> Value {
        let (kind, form) = match self.kind {
            Kind::Stat => ("stat", "time_series"),
            Kind::Chart | Kind::Bars => ("timeseries", "time_series"),
            Kind::Table => ("table", "table"),
        };
        let custom = match self.kind {
            Kind::Chart => {
                json!({ "drawStyle": "line", "lineWidth": 1, "spanNulls": false, "showPoints": "never" })
            }
            Kind::Bars => json!({ "drawStyle": "bars", "fillOpacity": 60, "lineWidth": 0 }),
            Kind::Stat | Kind::Table => json!({}),
        };
        let options = match self.kind {
            Kind::Stat => json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "colorMode": "none" }),
            Kind::Chart | Kind::Bars => json!({ "legend": { "displayMode": "list", "placement": "bottom" },
                "tooltip": { "mode": "multi", "sort": "desc" } }),
            Kind::Table => json!({ "showHeader": true }),
        };
        // The alias names the field and, one after the other, what the points are grouped by.
        let target = json!({ "refId": "A", "datasource": datasource(), "rawQuery": true, "query": self.query,
            "resultFormat": form });
        json!({ "id": id, "type": kind, "title": self.title, "datasource": datasource(), "interval": "1s",
            "maxDataPoints": 500, "gridPos": { "x": x, "y": y, "w": self.width, "h": self.height() },
            "targets": [target], "options": options,
            "fieldConfig": { "defaults": { "custom": custom }, "overrides": [] } })
    }
}

/// The data source that the dashboard's variable names.
pub(super) fn datasource() -> Value {
    json!({ "type": "influxdb", "uid": "${datasource}" })
}

/// Panels from left to right and from top to bottom; the further ones in a row that is closed at first.
pub(super) fn lay_out(panels: Vec<Panel>, further: Vec<Panel>) -> Vec<Value> {
    let mut id = 0;
    let (mut placed, bottom) = place(&panels, &mut id, 0);
    if !further.is_empty() {
        id += 1;
        let row = id;
        let (inner, _) = place(&further, &mut id, bottom + 1);
        placed.push(
            json!({ "id": row, "type": "row", "title": "further fields (fields = \"all\")", "collapsed": true,
            "gridPos": { "x": 0, "y": bottom, "w": GRID, "h": 1 }, "panels": inner }),
        );
    }
    placed
}

fn place(panels: &[Panel], id: &mut u32, top: u32) -> (Vec<Value>, u32) {
    let (mut x, mut y, mut height) = (0, top, 0);
    let mut placed = Vec::new();
    for panel in panels {
        if x + panel.width > GRID {
            (x, y, height) = (0, y + height, 0);
        }
        *id += 1;
        placed.push(panel.model(*id, (x, y)));
        x += panel.width;
        height = height.max(panel.height());
    }
    (placed, y + height)
}
