// Package pipeline is what every call passes through, whichever door it came
// in by: REST and Connect decode a message, and from there on there is one
// path to the use case and one path back. No HTTP hop lies in between.
//
//	Begin   request id, credential, rate limit, Idempotency-Key     before the body is read
//	decode  (the door's: JSON, path and query, or protobuf)
//	Invoke  version, field rules, scope, merchant and place, replay, handler, meta
//	Stream  Invoke, with what the use case reports on the way
//
// # Writing an operation
//
// A service author registers one function per RPC. The function turns the
// message into a use case's input, names the use case, and says how its output
// becomes the response:
//
//	func Register(reg *pipeline.Registry, uses *topup.UseCases) {
//		s := &topupService{uses}
//		pipeline.Handle(reg, partnerv1connect.TopupServicePrepareTopupProcedure, s.prepare)
//		pipeline.Handle(reg, partnerv1connect.TopupServiceGetTopupProcedure, s.get)
//	}
//
//	func (s *topupService) prepare(ctx context.Context, call *app.Call, req *partnerv1.PrepareTopupRequest) (*partnerv1.PrepareTopupResponse, error) {
//		in := topup.PrepareInput{CustomerID: req.GetCustomerId(), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency()}
//		return pipeline.Run(ctx, call, s.uses.Prepare, in, func(call *app.Call, t topup.Topup) *partnerv1.PrepareTopupResponse {
//			return &partnerv1.PrepareTopupResponse{TopupId: t.ID, State: string(t.State)}
//		})
//	}
//
// What the author can rely on:
//
//   - The message is valid by the contract's rules; call.Tenant.MerchantID,
//     BrandID, BranchID and TerminalID are verified; the credential may call it.
//     So a handler reads call, never req.Meta or req.Context.
//   - For an idempotent operation call.Pin is set and Run has set Pin.Encode, so
//     that app.Mutate stores the outcome in its own transaction. The use case
//     must go through app.Mutate (or settle call.Pin itself, as the payment
//     batcher does). An idempotent operation that answered without pinning is
//     reported as a defect.
//   - encode is pure: Mutate may retry and call it more than once, on another
//     goroutine. It may call SetStatus (for example 200 beside 201), and it may
//     set Meta on the response to carry what only it knows:
//     Meta: pipeline.Trace(id) or pipeline.Cursor(next). The pipeline fills the rest.
//   - Errors are *fault.Error. A 402 is pinned with its recovery. Any other
//     error type becomes INTERNAL, is logged once with its cause and never shown.
//   - *app.Replay may be returned as it came: the pipeline answers with the
//     stored outcome.
//   - A read is the same with a use case that reads; call.Pin is then nil.
//   - Where an RPC streams the operation (the contract's option streams), the same
//     function answers it: the use case gets Reporter(ctx, encode) to report to.
//
// Options: Unsearched leaves the look-up of the key to the use case (hot
// paths), AnyMerchant serves what belongs to the partner and not to a merchant,
// Represented adds further media types (GET receipt).
package pipeline
