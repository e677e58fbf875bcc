package pg

import (
	"database/sql"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	scannerType = reflect.TypeFor[sql.Scanner]()
	timeType    = reflect.TypeFor[time.Time]()
)

// rowTo chooses how a row becomes a T: structs by column name, values that
// stand for one column by position.
func rowTo[T any]() pgx.RowToFunc[T] {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct || t == timeType || reflect.PointerTo(t).Implements(scannerType) {
		return pgx.RowTo[T]
	}
	return pgx.RowToStructByName[T]
}
