package customers

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// registerProfile mounts consents, attributes, preferences and profile events.
func registerProfile(reg *pipeline.Registry, a api) {
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceRecordConsentProcedure, a.recordConsent)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceListConsentsProcedure, a.consents)
	pipeline.Handle(reg, partnerv1connect.EnrollmentServiceSubmitIdentityProcedure, a.submitIdentity)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceGetCustomerPreferencesProcedure, a.preferences)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceUpdateCustomerPreferencesProcedure, a.updatePreferences)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceLogCustomerEventProcedure, a.logEvent)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceListCustomerEventsProcedure, a.events)
}

// object is a free member of a request as JSON; an absent one is the empty object.
func object(s *structpb.Struct, field string) (json.RawMessage, error) {
	if s == nil {
		return json.RawMessage("{}"), nil
	}
	raw, err := s.MarshalJSON()
	if err != nil {
		return nil, fault.Field(fault.CodeValidationFailed, field, "object", "give a JSON object")
	}
	return raw, nil
}

// structOf reads a JSON object back that came in as one.
func structOf(raw json.RawMessage) *structpb.Struct {
	s, err := shape.Struct(raw)
	if err != nil {
		return &structpb.Struct{Fields: map[string]*structpb.Value{}}
	}
	return s
}

func consent(c identity.Consent) *partnerv1.Consent {
	return &partnerv1.Consent{
		ConsentId: c.ID, CustomerId: c.CustomerID, Purpose: string(c.Purpose), Channel: shape.Optional(c.Channel), State: string(c.State),
		Version: c.Version, Evidence: structOf(c.Evidence), OccurredAt: timestamppb.New(c.OccurredAt), RecordedAt: timestamppb.New(c.RecordedAt),
	}
}

func (a api) recordConsent(ctx context.Context, call *app.Call, req *partnerv1.RecordConsentRequest) (*partnerv1.RecordConsentResponse, error) {
	evidence, err := object(req.GetEvidence(), "evidence")
	if err != nil {
		return nil, err
	}
	in := customers.ConsentInput{
		CustomerID: req.GetCustomerId(), Purpose: identity.Purpose(req.GetPurpose()), Channel: req.GetChannel(),
		State: identity.ConsentState(req.GetState()), Version: req.GetVersion(), Evidence: evidence, OccurredAt: shape.Moment(req.GetOccurredAt()),
	}
	return pipeline.Run(ctx, call, a.uses.RecordConsent, in, func(_ *app.Call, c identity.Consent) *partnerv1.RecordConsentResponse {
		return shape.Flat(consent(c), &partnerv1.RecordConsentResponse{})
	})
}

func (a api) consents(ctx context.Context, call *app.Call, req *partnerv1.ListConsentsRequest) (*partnerv1.ListConsentsResponse, error) {
	in := customers.ListInput{CustomerID: req.GetCustomerId(), Only: req.GetPurpose(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Consents, in, func(_ *app.Call, p customers.Page[identity.Consent]) *partnerv1.ListConsentsResponse {
		res := &partnerv1.ListConsentsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, c := range p.Rows {
			res.Consents = append(res.Consents, consent(c))
		}
		return res
	})
}

func (a api) submitIdentity(ctx context.Context, call *app.Call, req *partnerv1.SubmitIdentityRequest) (*partnerv1.SubmitIdentityResponse, error) {
	in := customers.AttributesInput{
		CustomerID: req.GetCustomerId(), Name: req.GetName(), Email: req.GetEmail(), BirthDate: req.GetBirthDate(), Language: req.GetLanguage(),
	}
	return pipeline.Run(ctx, call, a.uses.SubmitIdentity, in, func(call *app.Call, c identities.CustomerContext) *partnerv1.SubmitIdentityResponse {
		return shape.Flat(customerFor(call, c), &partnerv1.SubmitIdentityResponse{})
	})
}

func preferences(p identity.Preferences) *partnerv1.Preferences {
	out := &partnerv1.Preferences{
		CustomerId: p.CustomerID, Language: shape.Optional(p.Language), ReceiptChannel: shape.Optional(p.ReceiptChannel),
		OfferOptOuts: &partnerv1.OfferOptOuts{All: p.OptOut.All, Kinds: p.OptOut.Kinds, Categories: p.OptOut.Categories},
		Version:      int32(p.Version), UpdatedAt: shape.Stamp(p.UpdatedAt),
	}
	for _, name := range identity.Channels() {
		if on, ok := p.Channels[name]; ok {
			out.Channels = append(out.Channels, &partnerv1.ChannelPreference{Channel: name, Enabled: on})
		}
	}
	return out
}

func (a api) preferences(ctx context.Context, call *app.Call, req *partnerv1.GetCustomerPreferencesRequest) (*partnerv1.GetCustomerPreferencesResponse, error) {
	return pipeline.Run(ctx, call, a.uses.Preferences, req.GetCustomerId(), func(_ *app.Call, p identity.Preferences) *partnerv1.GetCustomerPreferencesResponse {
		return shape.Flat(preferences(p), &partnerv1.GetCustomerPreferencesResponse{})
	})
}

func (a api) updatePreferences(ctx context.Context, call *app.Call, req *partnerv1.UpdateCustomerPreferencesRequest) (*partnerv1.UpdateCustomerPreferencesResponse, error) {
	in := customers.PreferencesInput{CustomerID: req.GetCustomerId(), Change: identity.PreferenceChange{Language: req.Language}}
	if req.ExpectedVersion != nil {
		expected := int(req.GetExpectedVersion())
		in.Change.Expected = &expected
	}
	if out := req.GetOfferOptOuts(); out != nil {
		in.Change.OptOut = &identity.OptOut{All: out.GetAll(), Kinds: out.GetKinds(), Categories: out.GetCategories()}
	}
	if req.ReceiptChannel != nil {
		channel := req.GetReceiptChannel()
		if channel == "none" {
			channel = ""
		}
		in.Change.ReceiptChannel = &channel
	}
	if len(req.GetChannels()) > 0 {
		in.Change.Channels = map[string]bool{}
	}
	for _, c := range req.GetChannels() {
		in.Change.Channels[c.GetChannel()] = c.GetEnabled()
	}
	return pipeline.Run(ctx, call, a.uses.UpdatePreferences, in, func(_ *app.Call, p identity.Preferences) *partnerv1.UpdateCustomerPreferencesResponse {
		return shape.Flat(preferences(p), &partnerv1.UpdateCustomerPreferencesResponse{})
	})
}

func event(e identity.CustomerEvent) *partnerv1.CustomerEvent {
	return &partnerv1.CustomerEvent{
		CustomerEventId: e.ID, CustomerId: e.CustomerID, Type: e.Type, SessionId: shape.Optional(e.SessionID), Attributes: structOf(e.Attributes),
		OccurredAt: timestamppb.New(e.OccurredAt), RecordedAt: timestamppb.New(e.RecordedAt),
	}
}

func (a api) logEvent(ctx context.Context, call *app.Call, req *partnerv1.LogCustomerEventRequest) (*partnerv1.LogCustomerEventResponse, error) {
	attributes, err := object(req.GetAttributes(), "attributes")
	if err != nil {
		return nil, err
	}
	in := customers.EventInput{
		CustomerID: req.GetCustomerId(), Type: req.GetType(), SessionID: req.GetSessionId(), Attributes: attributes, OccurredAt: shape.Moment(req.GetOccurredAt()),
	}
	return pipeline.Run(ctx, call, a.uses.LogEvent, in, func(_ *app.Call, e identity.CustomerEvent) *partnerv1.LogCustomerEventResponse {
		return shape.Flat(event(e), &partnerv1.LogCustomerEventResponse{})
	})
}

func (a api) events(ctx context.Context, call *app.Call, req *partnerv1.ListCustomerEventsRequest) (*partnerv1.ListCustomerEventsResponse, error) {
	in := customers.ListInput{CustomerID: req.GetCustomerId(), Only: req.GetType(), Limit: int(req.GetLimit()), Cursor: req.GetCursor()}
	return pipeline.Run(ctx, call, a.uses.Events, in, func(_ *app.Call, p customers.Page[identity.CustomerEvent]) *partnerv1.ListCustomerEventsResponse {
		res := &partnerv1.ListCustomerEventsResponse{Meta: pipeline.Cursor(p.Next)}
		for _, e := range p.Rows {
			res.Events = append(res.Events, event(e))
		}
		return res
	})
}
